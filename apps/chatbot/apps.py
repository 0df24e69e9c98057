from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatbotConfig(AppConfig):
    name = "apps.chatbot"
    label = "chatbot"
    verbose_name = _("Support")

    def ready(self) -> None:
        from apps.chatbot.regression import objections
        from gpt_core import promotion_checks

        promotion_checks.register("support", objections)
