#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/api/model/api_model.json: the input shapes of the operations that Trainyard answers, with their limits,
patterns and enums, from the installed botocore. Run it to take over a newer API:

    build/client/bin/python tools/api_model.py

Names and numbers only. A test compares the file with the installed botocore."""
import json
import pathlib

import botocore.session

FILE = pathlib.Path(__file__).resolve().parent.parent / "src/api/model/api_model.json"

OPERATIONS = {
    "sagemaker": ["CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs", "StopTrainingJob",
                  "UpdateTrainingJob", "DeleteTrainingJob", "Search", "AddTags", "ListTags", "DeleteTags"],
    "logs": ["DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents"],
    "cloudwatch": ["GetMetricStatistics", "GetMetricData", "ListMetrics"],
    "sagemaker-metrics": ["BatchPutMetrics"],
}
# Where one name stands for several services' shapes the service's own prefix keeps them apart.
PREFIXES = {"sagemaker": "", "logs": "Logs.", "cloudwatch": "CloudWatch.", "sagemaker-metrics": "Metrics."}


def add_shape(shapes, prefix, shape):
    name = prefix + shape.name
    if name in shapes:
        return name
    entry = shapes[name] = {"type": shape.type_name}
    for key in ("min", "max", "pattern"):
        if key in shape.metadata:
            entry[key] = shape.metadata[key]
    if getattr(shape, "enum", None):
        entry["enum"] = shape.enum
    if shape.type_name == "structure":
        entry["required"] = list(shape.required_members)
        entry["members"] = {member: add_shape(shapes, prefix, target) for member, target in shape.members.items()}
    elif shape.type_name == "list":
        entry["member"] = add_shape(shapes, prefix, shape.member)
    elif shape.type_name == "map":
        entry["key"] = add_shape(shapes, prefix, shape.key)
        entry["value"] = add_shape(shapes, prefix, shape.value)
    return name


def build():
    session = botocore.session.get_session()
    operations, shapes = {}, {}
    for service, names in OPERATIONS.items():
        model = session.get_service_model(service)
        for name in names:
            shape = model.operation_model(name).input_shape
            operations[name] = add_shape(shapes, PREFIXES[service], shape)
    return {"operations": operations, "shapes": dict(sorted(shapes.items()))}


def as_text(document):
    lines = [f'  {json.dumps(name)}: {json.dumps(shape)}' for name, shape in document["shapes"].items()]
    return ('{"operations": ' + json.dumps(document["operations"]) + ',\n"shapes": {\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    FILE.write_text(as_text(build()))
