"""The public import path of `report_app`, the ASGI app that serves the report page."""

from cookie_consent.report.live.app import report_app

__all__ = ["report_app"]
