"""Makes the pages of docs/reference from the code: `make reference`. Each module makes one page, in its `page()`.

The pages list. What explains stands in the other pages of docs/, and both link to each other.
"""
