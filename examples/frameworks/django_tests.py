"""Django: tests of the example with the database, as `manage.py test` runs them."""

from __future__ import annotations

import httpx
from django.contrib.auth.models import User
from django.test import TestCase
from django_app import application

from cookie_consent.testing import aanswer


class OfficesTest(TestCase):
    """Tests of the page with the offices."""

    async def test_signed_in_visitor_who_consents_sees_the_map(self) -> None:
        """Sign in, and answer."""
        user = await User.objects.acreate_user("hanako")
        await self.async_client.aforce_login(user)
        session = {"sessionid": self.async_client.cookies["sessionid"].value}
        site = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=site, base_url="http://localhost", cookies=session) as client:
            assert "The map is switched off." in (await client.get("/offices")).text
            await aanswer(client)
            page = (await client.get("/offices")).text
        assert "Hello, hanako." in page
        assert "You see our offices on the map." in page
