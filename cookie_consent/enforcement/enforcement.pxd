# The attributes of these classes as C fields, for compiled wheels; see docs/performance.md.

cdef class Enforcement:
    cdef public object installed, signal_proofs, app_language, depends_on, recent_answers, gate, access_log, pages, prefix
    cdef public object traced_headers, page_headers, banner_page_headers, ordinary, security, vendor_signals, _to_be_read
    cdef public object shared_pages, compression, app, choose, layouts
    cdef public bint inject, settings_link, has_quick_pages, inline_style, fills_heads, is_quick, is_secured
