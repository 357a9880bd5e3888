# SPDX-License-Identifier: Apache-2.0
"""boto3_get.py crt|classic BUCKET FOLDER < keys: downloads as a script with boto3 would, ten files at once."""
import concurrent.futures
import json
import os
import pathlib
import sys
import time

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from s3transfer import crt

kind, bucket, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
keys = sys.stdin.read().split("\n")
options = Config(s3={"addressing_style": "path"}, max_pool_connections=50)


def with_crt():
    """What boto3 does with preferred_transfer_client='crt', which cannot be told to go without TLS."""
    session = botocore.session.get_session()
    serializer = crt.BotocoreCRTRequestSerializer(session, {
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": os.environ["AWS_REGION"], "config": options})
    provider = crt.BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    client = crt.create_s3_crt_client(os.environ["AWS_REGION"], provider, use_ssl=False, target_throughput=5_000_000_000)
    with crt.CRTTransferManager(client, serializer) as manager:
        for future in [manager.download(bucket, key, str(folder / key)) for key in keys]:
            future.result()


def classic():
    s3 = boto3.client("s3", config=options)
    config = TransferConfig(preferred_transfer_client="classic", max_concurrency=10)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for future in [pool.submit(s3.download_file, bucket, key, str(folder / key), Config=config) for key in keys]:
            future.result()


begin, cpu = time.monotonic(), time.process_time()
{"crt": with_crt, "classic": classic}[kind]()
print(json.dumps({"seconds": time.monotonic() - begin, "cpu": time.process_time() - cpu}))
