from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenancyConfig(AppConfig):
    name = "tenancy"
    verbose_name = _("Tenants")

    def ready(self) -> None:
        from django.core.checks import Tags, register
        from django.db.backends.signals import connection_created

        from tenancy import owner, rls

        # Not control flow: Django has no other place where a new connection can be dressed.
        connection_created.connect(rls.attach, dispatch_uid="tenancy.rls.attach")
        connection_created.connect(owner.refuse_powerful_role, dispatch_uid="tenancy.owner.refuse")
        register(owner.check_role, Tags.database)
