from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "tenancy"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from tenancy import rls

        # Not control flow: Django has no other place where a new connection can be dressed.
        connection_created.connect(rls.attach, dispatch_uid="tenancy.rls.attach")
