from django.db import models


class Order(models.Model):
    item = models.CharField(max_length=200)
    quantity = models.PositiveIntegerField()
    state = models.CharField(max_length=20, default="new")
    created = models.DateTimeField(auto_now_add=True)

    def as_dict(self):
        return {"id": self.id, "item": self.item, "quantity": self.quantity, "state": self.state}
