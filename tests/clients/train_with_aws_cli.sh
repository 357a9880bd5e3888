#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A training job from data to model with nothing but the AWS CLI: train_with_aws_cli.sh AWS BUCKET IMAGE.
# Version 1 or 2; AWS_ENDPOINT_URL says where, also to versions that do not read it.
set -euo pipefail
bucket=$2 image=$3 job="cli-$RANDOM$RANDOM" work=$(mktemp -d)
trap 'kill "${tail:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
aws_program=$1
version=$("$aws_program" --version 2>&1 | sed 's|^aws-cli/\([0-9]\).*|\1|')
aws() { "$aws_program" --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }

mkdir -p "$work/data/part" "$work/code"
echo 3 >"$work/data/a"
echo 4 >"$work/data/part/b"
cat >"$work/code/train.py" <<'SCRIPT'
import os, pathlib
folder = pathlib.Path(os.environ["SM_CHANNEL_TRAINING"])
values = [int(path.read_text()) for path in (folder / "a", folder / "part/b")]
for epoch in range(3):
    print(f"epoch {epoch} loss: {sum(values) / (epoch + 1)}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "sum").write_text(str(sum(values)))
SCRIPT
tar -czf "$work/sourcedir.tar.gz" -C "$work/code" train.py

aws s3 mb "s3://$bucket"
aws s3 sync "$work/data" "s3://$bucket/data"
aws s3 cp "$work/sourcedir.tar.gz" "s3://$bucket/source/sourcedir.tar.gz"
aws sagemaker create-training-job --training-job-name "$job" \
  --role-arn arn:aws:iam::123456789012:role/Trainer \
  --algorithm-specification "TrainingImage=$image,TrainingInputMode=File,MetricDefinitions=[{Name=loss,Regex='loss: ([0-9.]+)'}]" \
  --input-data-config "[{\"ChannelName\":\"training\",\"DataSource\":{\"S3DataSource\":{\"S3DataType\":\"S3Prefix\",\"S3Uri\":\"s3://$bucket/data\"}}}]" \
  --output-data-config "S3OutputPath=s3://$bucket/out" \
  --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1 \
  --stopping-condition MaxRuntimeInSeconds=600 \
  --hyper-parameters "sagemaker_program=train.py,sagemaker_submit_directory=s3://$bucket/source/sourcedir.tar.gz"

if [ "$version" = 2 ]; then
  # Follows the job from its first line; it does not end by itself.
  until aws logs tail /aws/sagemaker/TrainingJobs --log-stream-name-prefix "$job/" >/dev/null 2>&1; do sleep 0.1; done
  "$aws_program" --endpoint-url "$AWS_ENDPOINT_URL" logs tail /aws/sagemaker/TrainingJobs \
    --log-stream-name-prefix "$job/" --follow --format short >"$work/log" 2>&1 &
  tail=$!
  for _ in $(seq 300); do grep -q 'epoch 2' "$work/log" && break; sleep 0.1; done
  kill "$tail"
  grep 'epoch' "$work/log"
fi

# The waiter asks every two minutes; by now one question will do.
for _ in $(seq 600); do
  status=$(aws sagemaker describe-training-job --training-job-name "$job" --query TrainingJobStatus --output text)
  [ "$status" != InProgress ] && break
  sleep 0.1
done
aws sagemaker wait training-job-completed-or-stopped --training-job-name "$job"
aws sagemaker describe-training-job --training-job-name "$job" \
  --query '[TrainingJobStatus, FinalMetricDataList[0].Value]' --output text
aws logs filter-log-events --log-group-name /aws/sagemaker/TrainingJobs --log-stream-name-prefix "$job/" \
  --query 'events[].message' --output text | grep -o 'epoch 2 loss: [0-9.]*'
aws cloudwatch get-metric-statistics --namespace /aws/sagemaker/TrainingJobs --metric-name loss \
  --dimensions "Name=TrainingJobName,Value=$job" --period 3600 --statistics Average Minimum SampleCount \
  --start-time "$(date -u -d '-1 hour' +%FT%TZ)" --end-time "$(date -u -d '+1 hour' +%FT%TZ)" \
  --query 'Datapoints[].[Minimum, SampleCount]' --output text
aws s3 sync "s3://$bucket/out/$job/output" "$work/model"
tar -xzOf "$work/model/model.tar.gz" sum
echo
