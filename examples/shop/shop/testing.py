"""Django's test runner, with a JUnit report where JUNIT_FILE says."""
import os
import time
import unittest
from xml.etree import ElementTree

from django.test.runner import DiscoverRunner


class TimedResult(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = []

    def startTest(self, test):
        self._started = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        self.cases.append((test, time.monotonic() - self._started))
        super().stopTest(test)


class JUnitRunner(DiscoverRunner):
    def get_resultclass(self):
        return TimedResult

    def run_suite(self, suite, **kwargs):
        result = super().run_suite(suite, **kwargs)
        path = os.environ.get("JUNIT_FILE")
        if path:
            write_report(result, path)
        return result


def write_report(result, path):
    bad = {test.id(): text for test, text in [*result.failures, *result.errors]}
    skipped = {test.id() for test, _reason in result.skipped}
    suite = ElementTree.Element("testsuite", name="shop", tests=str(result.testsRun), failures=str(len(bad)))
    for test, seconds in result.cases:
        classname, _, name = test.id().rpartition(".")
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=name, time=f"{seconds:.3f}")
        if test.id() in bad:
            text = bad[test.id()]
            ElementTree.SubElement(case, "failure", message=text.strip().splitlines()[-1]).text = text
        elif test.id() in skipped:
            ElementTree.SubElement(case, "skipped")
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
