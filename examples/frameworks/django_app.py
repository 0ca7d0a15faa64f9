"""Django: features that need consent, templates, sessions, messages, languages and the admin, in one file.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookies of docs/frameworks.md. Start it
with `uvicorn django_app:app`. In a project, the settings are in `settings.py`, and the last lines in `asgi.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.contrib import admin, messages
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import include, path
from starlette.middleware.gzip import GZipMiddleware

from cookie_consent import ConsentMiddleware, consent_of
from cookie_consent.integrations.django import requires

HERE = Path(__file__).parent
OPTIONS = {
    "context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
        "cookie_consent.integrations.django.consent_context",
    ],
    "libraries": {"consent": "cookie_consent.integrations.django"},
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "django_templates"],
        "APP_DIRS": True,
        "OPTIONS": OPTIONS,
    }
]

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["CONSENT_KEY"],
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path("django.sqlite3").resolve()}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=TEMPLATES,
)


async def home(request: HttpRequest) -> HttpResponse:
    """Greet."""
    return HttpResponse("<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1>")


def suggestions(request: HttpRequest) -> JsonResponse:
    """Suggest what this visitor may like, or what everybody does."""
    return JsonResponse({"for": "you" if consent_of(request).allows("media") else "everybody"})


@requires("media")
def tour(request: HttpRequest) -> HttpResponse:
    """Show a film. Without consent, a page says what is off, and offers to allow it."""
    return HttpResponse("<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>")


@requires("media")
async def live_tour(request: HttpRequest) -> HttpResponse:
    """Do as `tour`, async."""
    return HttpResponse("<!doctype html><html lang='en'><title>Live</title><body><h1>The film</h1>")


def offices(request: HttpRequest) -> HttpResponse:
    """Show a map, or what stands in its place, and take comments."""
    if request.method == "POST":
        messages.success(request, "Thank you.")
        return redirect("/offices")
    return render(request, "offices.html")


urlpatterns = [
    path("", home),
    path("suggestions", suggestions),
    path("tour", tour),
    path("live", live_tour),
    path("offices", offices),
    path("i18n/", include("django.conf.urls.i18n")),
]

application = ConsentMiddleware(
    get_asgi_application(),
    policy="consent.toml",
    secret_keys=[os.environ["CONSENT_KEY"]],
    csp="enforce",
    inject=["/admin*"],
)
urlpatterns.append(path("admin/", admin.site.urls))  # after the setup of Django, which finds the models
app = GZipMiddleware(application)
