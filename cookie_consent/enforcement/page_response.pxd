# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

from cookie_consent.enforcement.visit_response cimport VisitResponse

cdef class PageResponse(VisitResponse):
    pass
