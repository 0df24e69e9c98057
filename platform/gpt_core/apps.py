from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GptCoreConfig(AppConfig):
    name = "gpt_core"
    verbose_name = _("Jobs and models")
