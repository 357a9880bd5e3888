// SPDX-License-Identifier: Apache-2.0
#include "sandbox/sandbox.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/file.hpp"
#include "base/subprocess.hpp"
#include "base/text.hpp"

namespace trainyard::sandbox {

namespace {

class Arguments {
 public:
  template <class... Texts>
  void add(Texts&&... texts) {
    (add_one(std::string(std::forward<Texts>(texts))), ...);
  }
  std::vector<std::string> take() { return std::move(list_); }

 private:
  // Not inlined: g++ 12 then warns of what is none.
  [[gnu::noinline]] void add_one(std::string text) { list_.push_back(std::move(text)); }

  std::vector<std::string> list_;
};

// The root holds what programs need and nothing of people: no /home, /root, /srv, /run, /var, /mnt.
void add_system(Arguments& arguments, const Walls& walls) {
  arguments.add("--tmpfs", "/");
  for (const char* name :
       {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"}) {
    std::error_code error;
    fs::path path(name);
    if (fs::is_symlink(path, error)) {
      arguments.add("--symlink", fs::read_symlink(path, error).string(), name);
    } else if (fs::is_directory(path, error)) {
      arguments.add("--ro-bind", name, name);
    }
  }
  for (const char* name : {"/run/systemd/resolve", "/run/resolvconf", "/sys"}) {
    bool is_resolvers = std::string_view(name) != "/sys";
    if (walls.resolver.empty() || !is_resolvers) arguments.add("--ro-bind-try", name, name);
  }
  arguments.add("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm");
  arguments.add("--perms", "0755", "--dir", "/var", "--perms", "1777", "--dir", "/var/tmp");
  arguments.add("--perms", "0755", "--dir", "/opt", "--perms", "0755", "--dir", "/home");
}

// The folders above a shown path, open to everybody: bwrap makes missing ones for root alone.
void add_parents(Arguments& arguments, const fs::path& path) {
  fs::path parent;
  for (const fs::path& part : path.parent_path()) {
    parent /= part;
    if (parent != "/") arguments.add("--perms", "0755", "--dir", parent.string());
  }
}

// /etc/resolv.conf is a link on many hosts, to a folder that also holds the resolver's sockets.
void add_resolver(Arguments& arguments, const fs::path& content) {
  std::error_code error;
  fs::path shown_as = fs::weakly_canonical("/etc/resolv.conf", error);
  add_parents(arguments, shown_as);
  arguments.add("--ro-bind", content.string(), shown_as.string());
}

void add_shown(Arguments& arguments, const Walls& walls) {
  // First what others may lie below: a data dir in /tmp, a Python in /home.
  arguments.add("--bind", walls.ml_dir.string(), "/opt/ml");
  arguments.add("--bind", walls.temporary_dir.string(), "/tmp");
  arguments.add("--bind", walls.home_dir.string(), "/home/job");
  for (const fs::path& path : walls.read_only) {
    bool is_system = path.string() == "/usr" || path.string().starts_with("/usr/");
    if (is_system) continue;
    add_parents(arguments, path);
    arguments.add("--ro-bind", path.string(), path.string());
  }
  for (const fs::path& path : walls.writable) {
    add_parents(arguments, path);
    arguments.add("--bind", path.string(), path.string());
  }
  for (const fs::path& device : walls.devices) {
    std::string name = device.string();
    arguments.add("--dev-bind", name, name);
  }
  for (const auto& [folder, shown_as] : walls.binds) {
    add_parents(arguments, shown_as);
    arguments.add("--bind", folder.string(), shown_as);
  }
  for (const auto& [content, shown_as] : walls.files) {
    arguments.add("--ro-bind", content.string(), shown_as);
  }
  if (!walls.resolver.empty()) add_resolver(arguments, walls.resolver);
}

// Where in a folder of the job the path lies; nullopt: in none.
std::optional<std::pair<fs::path, std::string>> in_jobs_folder(const Walls& walls,
                                                               const std::string& shown) {
  const std::pair<std::string_view, const fs::path*> folders[] = {{"/opt/ml/", &walls.ml_dir},
                                                                  {"/tmp/", &walls.temporary_dir},
                                                                  {"/home/job/", &walls.home_dir}};
  for (const auto& [prefix, folder] : folders) {
    if (shown.starts_with(prefix)) return std::pair(*folder, shown.substr(prefix.size()));
  }
  return std::nullopt;
}

Result<> check_mount_point(const Walls& walls, const fs::path& shown) {
  auto place = in_jobs_folder(walls, shown.lexically_normal().string());
  if (!place) return {};
  auto found = path_without_links(place->first, place->second);
  if (found || found.error().code == Code::not_found) return {};
  return fail(Code::denied, "a link was put in the way to {}", shown.string());
}

}  // namespace

Result<> check_mount_points(const Walls& walls) {
  for (const fs::path& path : walls.read_only) TRY(check_mount_point(walls, path));
  for (const fs::path& path : walls.writable) TRY(check_mount_point(walls, path));
  for (const auto& [folder, shown_as] : walls.binds) TRY(check_mount_point(walls, shown_as));
  for (const auto& [content, shown_as] : walls.files) TRY(check_mount_point(walls, shown_as));
  return {};
}

std::vector<std::string> wrap(const Walls& walls, const std::vector<std::string>& command,
                              const std::string& working_dir) {
  Arguments arguments;
  // A supervisor that is killed takes the walls and all behind them with it.
  arguments.add("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
                "--unshare-cgroup-try");
  if (!walls.host_name.empty()) arguments.add("--hostname", walls.host_name);
  if (!walls.has_network) arguments.add("--unshare-net");
  bool is_root = ::geteuid() == 0;
  // Without root a user namespace gives the right to mount; the user stays who they are.
  if (!is_root) arguments.add("--unshare-user");
  add_system(arguments, walls);
  add_shown(arguments, walls);
  arguments.add("--chdir", working_dir, "--");
  if (is_root && walls.user_id != 0) {
    std::string user = std::to_string(walls.user_id);
    arguments.add("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs",
                  "--inh-caps=-all", "--bounding-set=-all", "--");
  }
  std::vector<std::string> result = arguments.take();
  result.insert(result.end(), command.begin(), command.end());
  return result;
}

Result<> probe() {
  if (!find_program("bwrap")) {
    return fail(Code::not_found, "bubblewrap (bwrap) is not installed: apt-get install bubblewrap");
  }
  Walls walls;
  walls.host_name = "probe";
  walls.ml_dir = walls.temporary_dir = walls.home_dir = "/usr";
  walls.user_id = user_id_for("probe");
  Command command;
  command.arguments = wrap(walls, {"true"}, "/");
  command.timeout = std::chrono::seconds(10);
  Ended ended = TRY(run(command));
  if (ended.exit_code == 0) return {};
  return fail(Code::denied, "this host does not allow namespaces (bwrap: {})", trim(ended.output));
}

uint32_t user_id_for(std::string_view job) {
  // FNV-1a. Above 2^30, where no distribution or directory service hands out numbers.
  uint32_t hash = 2166136261u;
  for (char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return (1u << 30) + hash % (1u << 29);
}

}  // namespace trainyard::sandbox
