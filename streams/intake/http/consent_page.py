"""The page on which a user says if a client may act for them: no script, and nothing in it but what was registered."""

from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse

from domain.identity.consent import EMAIL, OPENID, PROFILE

ALLOW, DENY = "allow", "deny"

_WHOLE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title} · factline</title>
  <link rel="icon" type="image/svg+xml" href="/page/icon.svg">
  <link rel="stylesheet" href="/page/app.css">
</head>
<body>
<main class="sign-in">
<form method="post">
<h1>{title}</h1>
{body}
</form>
</main>
</body>
</html>
"""

_CONSENT = """{first}<p><strong>{name}</strong> asks to act for you in the tenant <strong>{tenant}</strong>.</p>
<p>It may do what you may do yourself, and no more than this:</p>
<ul>{scopes}</ul>
<p>It is at {origin}. Allow it only if you were just there and wanted this. It goes on for 30 days at most.</p>
<button type="submit" class="primary" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny">Do not allow</button>"""

_WHO = {
    OPENID: "learn your user name here, to sign you in there",
    PROFILE: "call you by that name",
    EMAIL: "learn the e-mail address that you were invited with",
}

_SIGN_IN = """<p>You are not signed in on this server, or not any more.
<a href="/" target="_blank" rel="noopener">Sign in</a> with your user name and password (a new tab opens), then come
back to this one.</p>
"""


def consent_page(
    name: str, tenant_id: str, scopes: Sequence[str], redirect_uri: str, *, signed_out: bool = False
) -> HTMLResponse:
    """Return the page that says who asks for what, whether the user is signed in or has to do that first."""
    items = "".join(f"<li>{_WHO.get(scope) or f'<code>{escape(scope)}</code>'}</li>" for scope in scopes)
    said = {"name": escape(name), "tenant": escape(tenant_id), "origin": escape(_origin(redirect_uri))}
    title, first = ("Sign in first", _SIGN_IN) if signed_out else ("Allow a program", "")
    return _page(title, _CONSENT.format(**said, scopes=items, first=first), redirect_uri)


def _page(title: str, body: str, redirect_uri: str) -> HTMLResponse:
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action"
        # browsers look at it also where the answer to the form leads elsewhere
        f" 'self' {_origin(redirect_uri)}"
    )
    headers = {
        "Content-Security-Policy": policy,
        # with none at all an older browser would not say that the form is this server's own
        "Referrer-Policy": "same-origin",
    }
    return HTMLResponse(_WHOLE.format(title=title, body=body), headers=headers)


def _origin(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}"
