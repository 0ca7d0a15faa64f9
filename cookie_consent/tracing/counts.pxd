# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

cdef class Counts:
    cdef public object _sink, _clock, _new_id, _hosts, _day_text, _flushing_loop, _breakdowns
    cdef public double _day_begins, _day_ends, _breakdowns_due
    cdef public dict _sums, _todays_sums
    cdef public bint _registered_at_exit
    cdef object __weakref__
