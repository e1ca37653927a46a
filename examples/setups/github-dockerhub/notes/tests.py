from django.test import TestCase


class NotesTest(TestCase):
    def test_health(self):
        self.assertEqual(self.client.get("/healthz").content, b"ok\n")

    def test_a_note_is_kept(self):
        answer = self.client.post("/notes", "buy tea", content_type="text/plain")
        self.assertEqual(answer.status_code, 201)
        self.assertEqual(self.client.get("/notes").json(), {"notes": ["buy tea"]})
