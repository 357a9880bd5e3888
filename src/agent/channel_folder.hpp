// SPDX-License-Identifier: Apache-2.0
// Where a channel's files lie on this host, and how the script's walls show them.
//
// Files of a channel are immutable and shared: hard links to the store's own files, or to those of
// the host's cache. They are gathered in a view, a folder of this instance that only the walls
// show: read-only (FastFile), or under an overlay that takes what the script writes (File). Where
// there is no wall, or no overlay, the view is copied to /opt/ml/input/data/<channel>.
#pragma once

#include <optional>

#include "agent/context.hpp"
#include "sandbox/overlay.hpp"

namespace trainyard::agent {

class ChannelFolder {
 public:
  ChannelFolder(const Context& context, std::string channel);

  fs::path view() const { return root_ / "view"; }
  fs::path feed() const { return root_ / "feed"; }  // of the process that feeds it: feeds.hpp
  fs::path in_ml() const { return ml_ / "input/data" / channel_; }  // mount point, or the files
  std::string shown_as() const { return "/opt/ml/input/data/" + channel_; }

  // The view is what the script sees, not what lies in in_ml().
  bool is_shown_from_view() const;
  bool is_writable() const;  // under an overlay
  // Decides for the overlay; its folders are made.
  Result<> make_writable(uint32_t owner);
  // Requires: is_writable().
  sandbox::Overlay overlay(uint32_t owner) const;

  // Replaces the view by a copy at in_ml().
  Result<> copy_to_ml(const std::stop_token& stop) const;

  // Where files are that the script sees, but for those that it wrote itself.
  fs::path files() const { return is_shown_from_view() ? view() : in_ml(); }

 private:
  fs::path root_;
  fs::path ml_;
  std::string channel_;
};

// A path of the script's world, on this host; nullopt when it leaves /opt/ml.
std::optional<fs::path> host_path(const Context& context, const std::string& shown);

}  // namespace trainyard::agent
