// SPDX-License-Identifier: Apache-2.0
// S3's actions, each named as in
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html
#pragma once

#include "api/s3/call.hpp"

namespace trainyard::api::s3 {

// buckets.cpp
Reply list_buckets(const Call& call);
Reply create_bucket(const Call& call);
Reply head_bucket(const Call& call);
Reply delete_bucket(const Call& call);
Reply get_bucket_location(const Call& call);
Reply get_bucket_versioning(const Call& call);

// read_object.cpp; HEAD and GET alike
Reply get_object(const Call& call);

// write_object.cpp
Reply put_object(const Call& call);
Reply copy_object(const Call& call);
Reply delete_object(const Call& call);
Reply delete_objects(const Call& call);

// tagging.cpp
Reply get_object_tagging(const Call& call);
Reply put_object_tagging(const Call& call);
Reply delete_object_tagging(const Call& call);

// list_objects.cpp
Reply list_objects(const Call& call);
Reply list_objects_v2(const Call& call);

// multipart.cpp
Reply create_multipart_upload(const Call& call);
Reply upload_part(const Call& call);
Reply upload_part_copy(const Call& call);
Reply complete_multipart_upload(const Call& call);
Reply abort_multipart_upload(const Call& call);
Reply list_parts(const Call& call);
Reply list_multipart_uploads(const Call& call);

}  // namespace trainyard::api::s3
