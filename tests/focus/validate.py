"""Holds a FOCUS file against the rules that the specification's validator has: `validate.py FILE` prints as JSON how many rules
passed, and those that did not.

The validator (PyPI focus-validator 1.0.0) calls five columns otherwise than the specification 1.0 does, so it is given a copy
in which they are called so. Nothing else is changed, and no rule is left out.
"""

import csv
import json
import os
import sys
import tempfile

import focus_validator

# As the specification calls a column, and as the validator does.
NAMES = {
    "InvoiceIssuerName": "InvoiceIssuer",
    "ProviderName": "Provider",
    "PublisherName": "Publisher",
    "ResourceId": "ResourceID",
}
# One rule asks for the column that was renamed to ChargeCategory in 1.0.
COPIED = {"ChargeCategory": "ChargeType"}


def renamed(path, to):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    names = rows[0]
    copies = [names.index(name) for name in COPIED]
    writer = csv.writer(to)
    writer.writerow([NAMES.get(name, name) for name in names] + list(COPIED.values()))
    for row in rows[1:]:
        assert len(row) == len(names), row
        writer.writerow(row + [row[place] for place in copies])
    return len(rows) - 1


def main():
    path = os.path.abspath(sys.argv[1])
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as copy:
        rows = renamed(path, copy)
        copy.flush()
        # It looks for its list of currencies below the working directory.
        os.chdir(os.path.dirname(os.path.dirname(focus_validator.__file__)))
        from focus_validator.config_objects import ChecklistObjectStatus
        from focus_validator.validator import Validator

        validator = Validator(
            data_filename=copy.name, output_type="console", output_destination=None, rules_version="1.0"
        )
        validator.load()
        result = validator.spec_rules.validate(validator.focus_data)
        result.process_result()
    passed = [check for check in result.checklist.values() if check.status == ChecklistObjectStatus.PASSED]
    failed = {
        check.check_name: str(check.error or check.friendly_name)
        for check in result.checklist.values()
        if check.status != ChecklistObjectStatus.PASSED
    }
    print(json.dumps({"rows": rows, "passed": len(passed), "failed": failed}))


main()
