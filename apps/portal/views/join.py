"""Taking an invitation.

The link is /join/#code: what stands behind the # never leaves the browser, so that no server, log
or referring page learns the code. A script posts it; where none runs, the code is pasted. The
session then remembers the hash of the code, not the code, while its owner signs in or signs up.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services
from accounts.authentication import hash_of
from apps.portal import refusals
from common.errors import ApplicationError

KEPT = "invitation"
MOST_CHARACTERS = 200


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """Give the code; then see who invites, and accept, sign in or sign up."""
    refused = False
    if request.method == "POST":
        found = services.open_invitation(hash_of(_code(request)))
        if found is not None:
            request.session[KEPT] = found.token_hash
            return HttpResponseRedirect(reverse("portal:join"))
        refused = True
    kept = request.session.get(KEPT)
    invitation = services.open_invitation(kept) if kept and not refused else None
    if kept and invitation is None and not refused:
        del request.session[KEPT]
        refused = True
    user = request.user
    context = {
        "invitation": invitation,
        "refused": refused,
        "is_for_reader": bool(
            invitation and user.is_authenticated and user.email == invitation.email
        ),
    }
    return render(request, "portal/join.html", context, status=404 if refused else 200)


@never_cache
@require_POST
def accept(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponseRedirect(reverse("portal:join"))
    kept = request.session.get(KEPT, "")
    invitation = services.open_invitation(kept)
    try:
        services.accept_invitation_by_hash(token_hash=kept, user=request.user)
    except ApplicationError as error:
        refusals.say(request, error)
        return HttpResponseRedirect(reverse("portal:join"))
    assert invitation is not None, "what was accepted was open"
    del request.session[KEPT]
    messages.success(request, _("Welcome to %(tenant)s.") % {"tenant": invitation.tenant.name})
    return HttpResponseRedirect(reverse("portal:home", args=[invitation.tenant.slug]))


@never_cache
@require_POST
def forget(request: HttpRequest) -> HttpResponse:
    """Not now: the invitation stays open, this browser no longer remembers it."""
    request.session.pop(KEPT, None)
    return HttpResponseRedirect(reverse("portal:start"))


def _code(request: HttpRequest) -> str:
    """What was pasted: the code, or the whole link with the code behind its #."""
    return request.POST.get("code", "")[:MOST_CHARACTERS].strip().rpartition("#")[2]
