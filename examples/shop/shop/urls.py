from django.urls import path

from shop import metrics, views

urlpatterns = [
    path("healthz", views.healthz),
    path("ready", views.ready),
    path("version", views.version),
    path("metrics", metrics.metrics),
    path("compute/prime", views.prime),
    path("orders", views.orders),
]
