// SPDX-License-Identifier: Apache-2.0
// The store's group commit. Internal to objects/.
#pragma once

#include "db/committer.hpp"
#include "objects/object_store.hpp"

namespace trainyard::objects {

class Committer : public db::Committer<Answer<>> {
 public:
  using db::Committer<Answer<>>::Committer;
};

using db::commit_for;

}  // namespace trainyard::objects
