"""Optional integrations with other frameworks and tools.

What `__all__` names in each module is public; all else is internal.
"""
