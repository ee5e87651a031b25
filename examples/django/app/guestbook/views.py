"""What a visitor sees."""

import os

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from . import entries
from .tasks import write_entry

LONGEST_TASK_SECONDS = 30.0


@require_safe
def up(request):
    return HttpResponse("up\n", content_type="text/plain")


@require_safe
def home(request):
    revision = os.environ.get("SWITCHOVER_REVISION", "")
    return render(request, "home.html", {"entries": entries.read(), "version": settings.VERSION, "revision": revision})


@require_POST
def sign(request):
    write_entry.delay(request.POST.get("name", ""), request.POST.get("message", ""))
    return redirect("home")


@csrf_exempt
def api_entries(request):
    """For programs: GET lists the entries, POST with `name`, `message` and `takes` leaves a task that writes one."""
    if request.method == "POST":
        try:
            takes = float(request.POST.get("takes", "0"))
        except ValueError:
            return JsonResponse({"error": "takes is a number of seconds"}, status=400)
        takes = min(max(takes, 0.0), LONGEST_TASK_SECONDS)
        task = write_entry.delay(request.POST.get("name", ""), request.POST.get("message", ""), takes)
        return JsonResponse({"task": task.id}, status=202)
    revision = os.environ.get("SWITCHOVER_REVISION", "")
    return JsonResponse({"version": settings.VERSION, "revision": revision, "entries": entries.read()})
