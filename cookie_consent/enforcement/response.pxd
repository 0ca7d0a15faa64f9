# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

from cookie_consent.enforcement.page_response cimport PageResponse

cdef class Response(PageResponse):
    pass
