# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

from cookie_consent.enforcement.response cimport Response

cdef class QuickResponse(Response):
    cdef str _encoding
    cdef Py_ssize_t _length_at
    cdef bint _has_policy
