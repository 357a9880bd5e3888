// SPDX-License-Identifier: Apache-2.0
// The tags that mpirun puts before each line of a rank: "[1,0]<stdout>:". Pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::launch {

// Puts together what mpirun took apart: it tags each piece that a rank wrote, also in the middle of
// a line, where a rank's "x" and line end come as "[1,0]<stdout>:x[1,0]<stdout>:".
class RankLines {
 public:
  // The line of mpirun, without its end; the line of a rank that it completes.
  std::string join(std::string_view line);

 private:
  std::map<std::string, std::string, std::less<>> begun_;  // by tag
};

// "[1,2]<stdout>:x" becomes "[1,mpirank:2,algo-2]<stdout>:x" (contract.md G.9); other lines stay.
std::string with_host_of_rank(std::string_view line, const std::vector<std::string>& hosts,
                              int processes_per_host);

// What ranks printed, rank by rank and without the tags, as if each had run alone; the rank with
// the first Python error comes last, where people look for the cause. Lines without a tag come
// first.
std::string without_tags(std::string_view output);

}  // namespace trainyard::launch
