from django.apps import AppConfig


class GptCoreConfig(AppConfig):
    name = "gpt_core"
