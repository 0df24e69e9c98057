"""The addresses of gpt_core's API, below /api/v1/."""

from rest_framework.routers import SimpleRouter

from . import views

router = SimpleRouter(use_regex_path=False)
router.register("bases", views.BaseModelViewSet, basename="base")
router.register("jobs", views.JobViewSet, basename="job")
router.register("checkpoints", views.CheckpointViewSet, basename="checkpoint")
router.register("evaluations", views.EvaluationViewSet, basename="evaluation")
router.register("exports", views.ExportViewSet, basename="export")
router.register("deployments", views.DeploymentViewSet, basename="deployment")

urlpatterns = router.urls
