#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes doc/fidelity.md: what of SageMaker's training API is exact here, approximated, ignored or refused, member by
member of the service model (src/api/model/api_model.json), each row with the test that shows it. Run it after a change:

    build/client/bin/python tools/fidelity.py

tests/api/test_fidelity.py holds the page to the model, to the code and to the tests."""
import json
import pathlib
import re

import botocore.session

import api_model

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "doc/fidelity.md"
MODEL = json.loads((ROOT / "src/api/model/api_model.json").read_text())

LIMITS = "tests/api/test_limits.py::test_every_limit_of_every_member"
ANSWERS = "tests/api/test_model.py::test_every_answer_is_what_the_model_says"
NOTICED = "tests/api/test_fidelity.py::test_what_is_ignored_is_told"
REFUSED = "tests/api/test_fidelity.py::test_what_is_refused_is_refused_with_this_text"
MODES = "tests/api/test_fidelity.py::test_data_types_and_modes_that_are_refused"
ARGUMENTS = "tests/sdk/test_v2.py::test_every_argument_of_a_file_mode_job_arrives"
PIPE = "tests/data/test_pipe.py::"
SCRIPT = "tests/training/test_script_mode.py::"
DISTRIBUTED = "tests/training/test_distributed.py::"
INSTANCES = "tests/training/test_instances.py::"
LIFE = "tests/training/test_life.py::"
ATTEMPTS = "tests/training/test_attempts.py::"
METRICS = "tests/clients/test_metrics.py::"
CHANNELS = SCRIPT + "test_channel_files_are_byte_for_byte_and_model_and_output_come_back"

# What has no effect is in the code itself: member and why it is harmless.
IGNORED = dict(re.findall(r'Notice\{"([\w.]+)",\s*"([^"]+)"\}', (ROOT / "src/api/sagemaker/notices.cpp").read_text()))

# CreateTrainingJob, the longest path that is a member or holds it counts: (level, in words, test).
CREATE = {
    "TrainingJobName": ("exact", "", LIMITS),
    "HyperParameters": ("exact", "", SCRIPT + "test_arguments_variables_and_configuration_files"),
    "AlgorithmSpecification": ("exact", "", ARGUMENTS),
    "AlgorithmSpecification.TrainingImage": (
        "approximated", "the URI stands for a managed environment with that framework's version; images are not run",
        "tests/training/test_faults.py::test_an_unknown_image_lists_what_is_known"),
    "AlgorithmSpecification.AlgorithmName": ("refused", "AlgorithmSpecification.AlgorithmName is not supported", REFUSED),
    "AlgorithmSpecification.TrainingInputMode": (
        "exact", "", PIPE + "test_epochs_are_the_concatenation_of_the_objects"),
    "AlgorithmSpecification.MetricDefinitions": (
        "approximated", "RE2 instead of Python's re: no look-around, no back references; a notice says so",
        METRICS + "test_metrics_that_can_have_no_value_are_told_in_the_log"),
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": (
        "approximated", "time series are always kept", METRICS + "test_statistics_by_json"),
    "AlgorithmSpecification.ContainerEntrypoint": ("exact", "", SCRIPT + "test_container_entrypoint_replaces_script_mode"),
    "AlgorithmSpecification.ContainerArguments": ("exact", "", SCRIPT + "test_container_entrypoint_replaces_script_mode"),
    "RoleArn": ("approximated", "every well-formed role will do", LIMITS),
    "InputDataConfig": ("exact", "", CHANNELS),
    "InputDataConfig.DataSource.S3DataSource.S3DataType": (
        "approximated", "S3Prefix, ManifestFile, AugmentedManifestFile; Converse is refused", PIPE + "test_a_manifest_names_files"),
    "InputDataConfig.DataSource.S3DataSource.S3DataDistributionType": (
        "exact", "", INSTANCES + "test_the_same_script_on_any_number_of_instances"),
    "InputDataConfig.DataSource.S3DataSource.AttributeNames": (
        "exact", "", PIPE + "test_an_augmented_manifest"),
    "InputDataConfig.DataSource.S3DataSource.InstanceGroupNames": (
        "exact", "", SCRIPT + "test_an_instance_group_and_its_channels"),
    "InputDataConfig.DataSource.FileSystemDataSource": (
        "refused", "has no S3DataSource; FileSystemDataSource and DatasetSource are not supported", REFUSED),
    "InputDataConfig.DataSource.DatasetSource": (
        "refused", "has no S3DataSource; FileSystemDataSource and DatasetSource are not supported", REFUSED),
    "InputDataConfig.CompressionType": ("exact", "Gzip counts in Pipe only", PIPE + "test_gzip_and_record_io"),
    "InputDataConfig.RecordWrapperType": ("exact", "wraps in Pipe only", PIPE + "test_gzip_and_record_io"),
    "InputDataConfig.InputMode": (
        "exact", "", PIPE + "test_epochs_are_the_concatenation_of_the_objects"),
    "InputDataConfig.ShuffleConfig": (
        "approximated", "in Pipe; the order of a seed is our own", PIPE + "test_shuffled_orders_differ_by_epoch_and_are_the_seeds"),
    "OutputDataConfig": ("exact", "", CHANNELS),
    "ResourceConfig": ("exact", "", ARGUMENTS),
    "ResourceConfig.InstanceType": ("approximated", "every type of the model; all run on this host as it is", LIMITS),
    "ResourceConfig.InstanceCount": (
        "approximated", "up to 1,000", INSTANCES + "test_the_same_script_on_any_number_of_instances"),
    "ResourceConfig.InstanceGroups": (
        "exact", "", INSTANCES + "test_instance_groups_of_several_kinds"),
    "ResourceConfig.VolumeSizeInGB": ("approximated", "the host's disk is shared, its room is not limited", LIMITS),
    "ResourceConfig.InstancePreferences": ("refused", "ResourceConfig.InstancePreferences is not supported", REFUSED),
    "ResourceConfig.SelectedInstanceType": ("approximated", "an answer's member: validated and echoed", ANSWERS),
    "ResourceConfig.SelectedInstanceCount": ("approximated", "an answer's member: validated and echoed", ANSWERS),
    "StoppingCondition": ("exact", "", "tests/training/test_faults.py::test_max_runtime_stops_the_job"),
    "StoppingCondition.MaxRuntimeInSeconds": (
        "exact", "over all attempts, from the entry into Training", ATTEMPTS + "test_the_runtime_of_all_attempts_counts"),
    "StoppingCondition.MaxWaitTimeInSeconds": ("exact", "", ATTEMPTS + "test_a_spot_job_that_waits_too_long_is_stopped"),
    "Tags": ("exact", "", "tests/api/test_model.py::test_tags_change_and_a_deleted_job_leaves_its_logs_and_model"),
    "EnableNetworkIsolation": ("exact", "", "tests/sdk/test_v2.py::test_an_isolated_job_gets_its_code_as_a_channel"),
    "EnableManagedSpotTraining": (
        "approximated", "an interruption comes from `trainyard interrupt`", ATTEMPTS + "test_a_spot_interruption"),
    "CheckpointConfig": ("exact", "only whole files, in an order that keeps a checkpoint complete",
                         ATTEMPTS + "test_checkpoints_are_restored_mirrored_and_only_whole"),
    "CheckpointConfig.LocalPath": ("exact", "", ATTEMPTS + "test_a_local_path_that_cannot_be_shown_is_told"),
    "DebugHookConfig": ("approximated", "validated and echoed", ANSWERS),
    "ProfilerConfig": ("approximated", "validated and echoed", ANSWERS),
    "Environment": ("exact", "", ARGUMENTS),
    "RetryStrategy": ("exact", "", ATTEMPTS + "test_a_lost_instance_is_replaced_and_the_script_goes_on"),
    "RemoteDebugConfig": ("approximated", "validated and echoed", ANSWERS),
    "InfraCheckConfig": ("approximated", "validated and echoed", ANSWERS),
    "SessionChainingConfig": ("approximated", "validated and echoed", ANSWERS),
    "ServerlessJobConfig": ("refused", "ServerlessJobConfig is not supported", REFUSED),
}

# The other operations as a whole, with the members that differ.
OTHERS = {
    "DescribeTrainingJob": {"": ("exact", "", ANSWERS)},
    "ListTrainingJobs": {
        "": ("exact", "filters before it pages", ANSWERS),
        "WarmPoolStatusEquals": ("approximated", "there are no warm pools: finds nothing", LIMITS)},
    "StopTrainingJob": {"": ("exact", "", LIFE + "test_a_stop_while_training_keeps_the_model")},
    "UpdateTrainingJob": {"": ("approximated", "taken and echoed; nothing is profiled, there are no warm pools", ANSWERS)},
    "DeleteTrainingJob": {
        "": ("exact", "", "tests/api/test_model.py::test_tags_change_and_a_deleted_job_leaves_its_logs_and_model")},
    "Search": {"CrossAccountFilterOption": ("approximated", "there is one account", ANSWERS),
               "VisibilityConditions": ("approximated", "all jobs are seen by all", ANSWERS), "": ("approximated", "Resource TrainingJob alone; others are refused", ANSWERS)},
    "AddTags": {"": ("exact", "of training jobs", "tests/api/test_model.py::test_tags_change_and_a_deleted_job_leaves_its_logs_and_model")},
    "ListTags": {"": ("exact", "of training jobs", ANSWERS)},
    "DeleteTags": {"": ("exact", "of training jobs", ANSWERS)},
    "DescribeLogGroups": {"": ("approximated", "there is the one group of training jobs", ANSWERS)},
    "DescribeLogStreams": {
        "": ("exact", "", ANSWERS), "logGroupIdentifier": ("approximated", "not read; give logGroupName", ANSWERS),
        "orderBy": ("approximated", "always by name", ANSWERS), "descending": ("approximated", "always ascending", ANSWERS)},
    "GetLogEvents": {
        "": ("exact", "", ANSWERS), "logGroupIdentifier": ("approximated", "not read; give logGroupName", ANSWERS),
        "unmask": ("approximated", "nothing is masked", ANSWERS)},
    "FilterLogEvents": {
        "logGroupIdentifier": ("approximated", "not read; give logGroupName", ANSWERS),
        "interleaved": ("approximated", "always interleaved, as on AWS by now", ANSWERS),
        "unmask": ("approximated", "nothing is masked", ANSWERS), "": ("exact", "", "tests/clients/test_aws_cli.py::test_a_training_job_from_data_to_model")},
    "GetMetricStatistics": {"": ("exact", "", METRICS + "test_statistics_by_json")},
    "GetMetricData": {
        "": ("exact", "", METRICS + "test_metric_data_and_the_list_of_metrics"),
        "MetricDataQueries.AccountId": ("approximated", "there is one account", ANSWERS),
        "MaxDatapoints": ("approximated", "an answer holds all values", ANSWERS),
        "NextToken": ("approximated", "an answer holds all values", ANSWERS),
        "LabelOptions": ("approximated", "labels hold no times", ANSWERS),
        "MetricDataQueries.Expression": ("refused", "no metric math", METRICS + "test_what_cannot_be_answered_is_refused")},
    "ListMetrics": {
        "RecentlyActive": ("approximated", "lists all that are kept", ANSWERS),
        "IncludeLinkedAccounts": ("approximated", "there is one account", ANSWERS),
        "OwningAccount": ("approximated", "there is one account", ANSWERS), "": ("exact", "", METRICS + "test_metric_data_and_the_list_of_metrics")},
    "BatchPutMetrics": {
        "MetricData.Step": ("approximated", "validated, not kept: values go by time", METRICS + "test_batch_put_metrics"), "": ("approximated", "values of training jobs; there are no experiments", METRICS + "test_batch_put_metrics")},
}

# Members of answers that are never sent, by operation.
NEVER_SENT = {
    "DescribeTrainingJob": {
        "TuningJobArn": "there are no tuning jobs", "LabelingJobArn": "there are no labeling jobs",
        "AutoMLJobArn": "there are no AutoML jobs", "WarmPoolStatus": "there are no warm pools",
        "BillableTokenCount": "serverless jobs are refused", "ServerlessJobConfig": "serverless jobs are refused",
        "ProgressInfo": "serverless jobs are refused", "DebugRuleEvaluationStatuses": "no rules are evaluated",
        "ProfilerRuleEvaluationStatuses": "no rules are evaluated", "ProfilingStatus": "nothing is profiled",
        "MlflowDetails": "nothing is sent to MLflow", "OutputModelPackageArn": "no model package is made"},
    "ListTrainingJobs": {
        "TrainingJobSummaries.WarmPoolStatus": "there are no warm pools",
        "TrainingJobSummaries.TrainingPlanArn": "capacity is this service's own"},
    "DescribeLogGroups": {f"logGroups.{name}": "the group has no such setting" for name in (
        "retentionInDays", "kmsKeyId", "dataProtectionStatus", "inheritedProperties", "logGroupClass", "logGroupArn",
        "deletionProtectionEnabled", "bearerTokenAuthenticationEnabled", "retentionPolicyName", "creationTime")} | {
            "nextToken": "there is one group"},
    "DescribeLogStreams": {"logStreams.uploadSequenceToken": "AWS itself no longer uses it"},
    "FilterLogEvents": {"searchedLogStreams": "AWS itself sends it empty"},
    "GetMetricStatistics": {"Datapoints.ExtendedStatistics": "percentiles are refused"},
    "ListTags": {"NextToken": "a job has at most 50 tags, the smallest page"},
    "GetMetricData": {"NextToken": "an answer holds all values", "Messages": "there is nothing to say", "MetricDataResults.Messages": "there is nothing to say"},
    "ListMetrics": {"OwningAccounts": "there is one account"},
}
ANSWER_TEST = {
    "CreateTrainingJob": LIMITS,
    "DescribeTrainingJob": "tests/api/test_fidelity.py::test_describe_has_every_member_that_is_not_ruled_out",
    "BatchPutMetrics": METRICS + "test_batch_put_metrics",
}

TOOLKIT = "tests/differential/test_toolkit.py::test_the_same_jobs_make_the_same_scripts"
SCRIPT_VARIABLES = """SM_HOSTS SM_NETWORK_INTERFACE_NAME SM_HPS SM_USER_ENTRY_POINT SM_FRAMEWORK_PARAMS SM_RESOURCE_CONFIG
SM_INPUT_DATA_CONFIG SM_OUTPUT_DATA_DIR SM_CHANNELS SM_CURRENT_HOST SM_CURRENT_INSTANCE_TYPE SM_CURRENT_INSTANCE_GROUP
SM_CURRENT_INSTANCE_GROUP_HOSTS SM_INSTANCE_GROUPS SM_INSTANCE_GROUPS_DICT SM_DISTRIBUTION_INSTANCE_GROUPS SM_IS_HETERO
SM_MODULE_NAME SM_LOG_LEVEL SM_FRAMEWORK_MODULE SM_INPUT_DIR SM_INPUT_CONFIG_DIR SM_OUTPUT_DIR SM_NUM_CPUS SM_NUM_GPUS
SM_NUM_NEURONS SM_MODEL_DIR SM_MODULE_DIR SM_TRAINING_ENV SM_USER_ARGS SM_OUTPUT_INTERMEDIATE_DIR SM_CHANNEL_<NAME>
SM_HP_<NAME> TF_CONFIG TRAINING_JOB_NAME SAGEMAKER_JOB_NAME CURRENT_HOST SAGEMAKER_REGION""".split()

CONTAINER = [  # what, level, words, test
    ("S3DataType S3Prefix", "exact", "contract of names and folders to the letter", CHANNELS),
    ("S3DataType ManifestFile", "exact", "", PIPE + "test_a_manifest_names_files"),
    ("S3DataType AugmentedManifestFile", "exact", "", PIPE + "test_an_augmented_manifest"),
    ("S3DataType Converse", "refused", "not supported", MODES),
    ("Input mode File", "exact", "", CHANNELS),
    ("Input mode FastFile", "exact", "", "tests/data/test_in_place.py::test_a_fast_file_channel_cannot_be_written"),
    ("Input mode Pipe", "exact", "", PIPE + "test_epochs_are_the_concatenation_of_the_objects"),
    *((name, "approximated" if name in ("SM_NUM_GPUS", "SM_NUM_NEURONS") else "exact",
       "always 0" if name in ("SM_NUM_GPUS", "SM_NUM_NEURONS") else "", TOOLKIT) for name in SCRIPT_VARIABLES),
    ("SM_TOPOLOGY", "approximated", "never set: resourceconfig.json has no topology", TOOLKIT),
    ("TF_CPP_MIN_LOG_LEVEL, S3_REGION, S3_USE_HTTPS, PYTHONPATH", "approximated", "differences-script-mode.md", TOOLKIT),
    ("The script's arguments", "approximated", "each stays whole: differences-script-mode.md", TOOLKIT),
    ("Exit status and failure file of a script", "approximated", "differences-script-mode.md",
     "tests/differential/test_toolkit.py::test_scripts_that_fail_end_with_the_same_failure"),
    *((f"/opt/ml/input/config/{name}.json", "exact", "", SCRIPT + "test_arguments_variables_and_configuration_files")
      for name in ("hyperparameters", "inputdataconfig", "resourceconfig")),
    ("/opt/ml/code", "exact", "", SCRIPT + "test_arguments_variables_and_configuration_files"),
    ("/opt/ml/input/data/<channel>", "exact", "", CHANNELS),
    ("/opt/ml/model", "exact", "", CHANNELS),
    ("/opt/ml/output/data", "exact", "", CHANNELS),
    ("/opt/ml/output/failure", "exact", "", "tests/training/test_faults.py::test_the_scripts_own_failure_file_counts"),
    ("/opt/ml/checkpoints", "exact", "", ATTEMPTS + "test_checkpoints_are_restored_mirrored_and_only_whole"),
    ("FailureReason", "approximated", "SageMaker's form; the cause comes first: failures.md",
     "tests/training/test_failures.py::test_the_cause_comes_first"),
    ("Distribution: parameter_server", "exact", "a server on each host, beside the script",
     DISTRIBUTED + "test_parameter_servers_run_beside_the_script_of_each_host"),
    ("Distribution: multi_worker_mirrored_strategy", "exact", "", DISTRIBUTED + "test_mirrored_workers_have_the_losses_of_one"),
    ("Distribution: mpi", "approximated", "mpirun of the host, without ssh: distributed.md",
     DISTRIBUTED + "test_mpirun_runs_ranks_on_every_instance"),
    ("Distribution: torch_distributed", "exact", "", DISTRIBUTED + "test_torchrun_trains_with_ddp_over_gloo"),
    ("Distribution: smdistributed, pytorchxla", "ignored", "proprietary libraries of AWS: the script starts as it is", TOOLKIT),
    ("Job credentials", "approximated", "keys in the environment; no container credential endpoint",
     SCRIPT + "test_the_job_has_its_own_s3_credentials"),
    ("SIGTERM at a stop", "approximated", "reaches the script and its children, not only process 1",
     "tests/differential/test_toolkit.py::test_sigterm_reaches_the_script_here_and_not_by_the_toolkit"),
    ("Logs: group, stream names, order", "exact", "a stream for each attempt",
     "tests/clients/test_aws_cli.py::test_a_training_job_from_data_to_model"),
    ("Instance metrics", "exact", "CPU, memory and disk; GPU where nvidia-smi is", METRICS + "test_a_running_job_shows_what_its_instance_uses"),
]


def members(shape, path="", above=()):
    """Paths of all members below a structure; items of lists without an index."""
    for name, target in MODEL["shapes"][shape].get("members", {}).items():
        yield path + name
        while MODEL["shapes"][target]["type"] == "list":
            target = MODEL["shapes"][target]["member"]
        if MODEL["shapes"][target]["type"] == "structure" and target not in above:
            yield from members(target, f"{path}{name}.", (*above, target))


def rule_of(path, rules):
    """The rule of the longest path that is `path` or holds it."""
    while path not in rules and path:
        path = path.rpartition(".")[0]
    return rules.get(path)


def answer_members(shape, path="", above=()):
    """The same of an answer. Search answers with kinds of things that are not here: those as a whole."""
    for name, target in (shape.members.items() if shape.type_name == "structure" else ()):
        yield path + name
        while target.type_name == "list":
            target = target.member
        is_search = shape.name == "SearchRecord"
        if target.type_name == "structure" and target.name not in above and not is_search:
            yield from answer_members(target, f"{path}{name}.", (*above, target.name))


def answers():
    """(operation, member, level, words, test) of the members of answers."""
    session = botocore.session.get_session()
    for service, operations in api_model.OPERATIONS.items():
        for operation in operations:
            shape = session.get_service_model(service).operation_model(operation).output_shape
            for path in answer_members(shape) if shape else ():
                why = rule_of(path, NEVER_SENT.get(operation, {}))
                if operation == "Search" and path.startswith("Results.") and path != "Results.TrainingJob":
                    why = "only training jobs are searched"
                yield (f"{operation}, the answer", path, "approximated" if why else "exact",
                       f"never sent: {why}" if why else "", ANSWER_TEST.get(operation, ANSWERS))


def rows():
    """(operation, member, level, words, test) of everything in the model, then of the container."""
    for operation, shape in MODEL["operations"].items():
        rules = CREATE if operation == "CreateTrainingJob" else OTHERS[operation]
        if operation == "CreateTrainingJob":
            rules = rules | {path: ("ignored", why, NOTICED) for path, why in IGNORED.items()}
        for path in members(shape):
            yield operation, path, *(rule_of(path, rules) or ("missing", "", ""))
    yield from answers()
    for what, *rest in CONTAINER:
        yield "container", what, *rest


def page():
    lines = ["# Fidelity", "",
             "What of SageMaker's training API and of its container contract holds here, member by member of the service model.",
             "`exact`: as on SageMaker. `approximated`: how, in words. `ignored`: accepted without effect, and said in the job's log",
             "and by `trainyard describe`; why it is harmless. `refused`: with this text. Every row names the test that shows it.",
             "`tools/fidelity.py` writes this page from the model; `tests/api/test_fidelity.py` checks it."]
    last = None
    for operation, path, level, words, test in rows():
        if operation != last:
            title = "The container" if operation == "container" else operation
            lines += ["", f"## {title}", "", "| what | | how | test |", "|---|---|---|---|"]
            last = operation
        lines.append(f"| {path} | {level} | {words} | {test.removeprefix('tests/')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
