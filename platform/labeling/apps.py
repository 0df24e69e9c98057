from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class LabelingConfig(AppConfig):
    name = "labeling"
    verbose_name = _("Datasets and labels")

    def ready(self) -> None:
        from labeling import frozen

        # Not control flow: the only place where Django says that the tables are as they should be.
        post_migrate.connect(frozen.install, sender=self, dispatch_uid="labeling.frozen.install")
