"""The addresses of labeling's API, below /api/v1/."""

from rest_framework.routers import SimpleRouter

from labeling.api import queue, views

router = SimpleRouter(use_regex_path=False)
router.register("datasets", views.DatasetViewSet, basename="dataset")
router.register("examples", views.ExampleViewSet, basename="example")
router.register("labels", views.LabelViewSet, basename="label")
router.register("annotations", views.AnnotationViewSet, basename="annotation")
router.register("versions", views.VersionViewSet, basename="version")
router.register("imports", views.ImportViewSet, basename="import")
router.register("labeling-tasks", queue.LabelingTaskViewSet, basename="labeling-task")

urlpatterns = router.urls
