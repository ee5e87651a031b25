import json

from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

from shop.models import OWN, Item


def up(_):
    return JsonResponse({"items": Item.objects.count()})


@csrf_exempt
def items(request):
    if request.method == "POST":
        item = Item.objects.create(name=json.loads(request.body)["name"], **OWN)
        return JsonResponse({"id": item.id, "writes": sorted(OWN)}, status=201)
    newest = Item.objects.order_by("-id").first()
    return JsonResponse({"items": Item.objects.count(), "newest": newest and newest.name, "writes": sorted(OWN)})
