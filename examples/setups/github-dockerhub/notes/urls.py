from django.http import HttpResponse, JsonResponse
from django.urls import path

from .models import Note


def health(_request):
    return HttpResponse("ok\n", content_type="text/plain")


def notes(request):
    if request.method == "POST":
        note = Note.objects.create(text=request.body.decode()[:500])
        return JsonResponse({"id": note.id}, status=201)
    return JsonResponse({"notes": list(Note.objects.values_list("text", flat=True))})


urlpatterns = [path("healthz", health), path("notes", notes)]
