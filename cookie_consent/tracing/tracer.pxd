# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

cdef class Trace:
    cdef public object fields, visitor_id, policy, purpose, new_visitor, status
    cdef public double arrived_at, started
    cdef public bint is_exempt, is_landing, is_view

cdef class Tracing:
    cdef public object sink, lost, _query_keys, _new_id, _lag, _countries
    cdef public dict _visitors, _pages, _minutes
