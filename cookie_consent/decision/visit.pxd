# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

cdef class Visits:
    cdef public dict _known
    cdef public tuple paths
    cdef public object _policy, _own_cookies, _gate, _clock, _services, _hosts, _known_bytes, _seen_once
    cdef public object _shared_visits, _lifetime, _place, _by_country, _in_regimes, country_field
