# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

cdef class VisitResponse:
    cdef public object scope, injection, printed_page, trace
    cdef public bint asks, is_unfinished
    cdef object _enforcement, _receive, _out, _plain_out, _visit, _request, _consent, _fields, _page_view_host, _began, _shown_recipients, _stored
    cdef object _held
    cdef bint _withholds_origins, _differs_in_frames, _replaced, _was_answered, _is_quick, _is_secured
