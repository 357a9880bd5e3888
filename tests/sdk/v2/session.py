# SPDX-License-Identifier: Apache-2.0
"""What a notebook does first."""
import pathlib
import tempfile

import sagemaker

session = sagemaker.Session()
print("bucket:", session.default_bucket())
print("role:", sagemaker.get_execution_role())
print("account:", session.account_id(), session.boto_region_name)
folder = pathlib.Path(tempfile.mkdtemp())
for name in ("a.txt", "b/c.txt"):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(name)
uri = session.upload_data(str(folder), key_prefix="session/data")
print("uploaded:", uri)
print("keys:", sorted(session.list_s3_files(session.default_bucket(), "session/data")))
session.download_data(str(folder / "back"), session.default_bucket(), "session/data")
print("back:", (folder / "back/b/c.txt").read_text())
print("text:", session.read_s3_file(session.default_bucket(), "session/data/a.txt"))
