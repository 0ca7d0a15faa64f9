# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

cdef class PagePlan:
    cdef public bytes begun, head, before_head
    cdef public dict links, questions
    cdef public Py_ssize_t size
    cdef public bint waits
    cdef public object encoding, language, next_path, tag

cdef class OrdinaryPages:
    cdef public dict plans, around
    cdef object _is_inline, _options, _pages, _prefix, _bytes
