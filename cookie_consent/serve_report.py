"""The documented path of `report_app`, which serves the report page."""

from cookie_consent.report.live.app import report_app

__all__ = ["report_app"]
