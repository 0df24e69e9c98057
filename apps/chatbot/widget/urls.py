"""The widget's routes, below /widget/."""

from django.urls import path

from . import files, pages, views

urlpatterns = [
    path("panel/", pages.panel, name="widget-panel"),
    path("v1/session/", views.session, name="widget-session"),
    path("v1/leave/", views.leave, name="widget-leave"),
    path("v1/conversations/", views.conversations, name="widget-conversations"),
    path("v1/messages/", views.say, name="widget-say"),
    path("v1/events/", views.listen, name="widget-listen"),
    path("v1/person/", views.ask_for_person, name="widget-person"),
    path("v1/address/", views.leave_address, name="widget-address"),
    path("v1/files/", files.send, name="widget-file-send"),
    path("v1/file/", files.fetch, name="widget-file"),
    path("v1/feedback/", views.judge, name="widget-judge"),
    path("v1/rating/", views.rate, name="widget-rate"),
]
