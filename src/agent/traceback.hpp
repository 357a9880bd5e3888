// SPDX-License-Identifier: Apache-2.0
// The exception that ended a Python script, out of what it printed. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::agent {

struct Frame {
  std::string file;      // "/opt/ml/code/train.py"
  std::string line;      // "12"
  std::string function;  // "main"; empty: not told

  // "train.py:12 in main"; below /opt/ml/code and in packages without what is above.
  std::string text() const;
};

struct PythonError {
  std::string name;     // "ValueError", "tensorflow.python.framework.errors_impl.DataLossError"
  std::string message;  // "ValueError: bad rate" and the lines that follow
  std::vector<Frame> frames;  // outermost first

  // The innermost frame of the script itself, else the innermost one.
  const Frame* frame() const;
};

// The last traceback, without those of "Exception ignored in", and, for launchers that report a
// worker's failure, the worker's own. nullopt: no exception was printed.
std::optional<PythonError> find_python_error(std::string_view output);

}  // namespace trainyard::agent
