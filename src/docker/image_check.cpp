// SPDX-License-Identifier: Apache-2.0
#include "docker/image_check.hpp"

#include <sys/utsname.h>

#include <algorithm>

#include "base/random.hpp"
#include "base/text.hpp"

namespace trainyard::docker {

namespace {

// Docker's own, for images that set none.
constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string variable(const Image& image, const std::string& name) {
  for (const std::string& one : image.variables) {
    if (one.starts_with(name + "=")) return one.substr(name.size() + 1);
  }
  return "";
}

// Removes its container whatever happens.
class Specimen {
 public:
  static Result<Specimen> make(Client& docker, const std::string& image) {
    ContainerSpec spec;
    spec.image = image;
    spec.arguments = {"train"};
    std::string name = "trainyard-check-" + random_hex(6);
    TRY(docker.create_container(name, spec));
    return Specimen(docker, name);
  }
  Specimen(Specimen&& other) noexcept
      : docker_(other.docker_), name_(std::exchange(other.name_, {})) {}
  ~Specimen() {
    if (!name_.empty()) static_cast<void>(docker_.remove_container(name_));
  }

  // The first of the paths that exists; "" where none does.
  Result<std::string> find(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (TRY(docker_.has_path(name_, path))) return path;
    }
    return std::string();
  }

 private:
  Specimen(Client& docker, std::string name) : docker_(docker), name_(std::move(name)) {}

  Client& docker_;
  std::string name_;
};

ImageFinding check_architecture(const Image& image) {
  utsname host{};
  ::uname(&host);
  std::string machine = host.machine;
  std::string own = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
  if (image.architecture == own) return {Finding::good, "architecture", own};
  return {Finding::wrong, "architecture",
          fmt::format("{}, and this host is {}", image.architecture, own)};
}

Result<ImageFinding> check_entry(Specimen& specimen, const Image& image) {
  bool is_train = image.entrypoint.empty();
  std::string program = is_train ? "train" : image.entrypoint.front();
  std::string found = TRY(specimen.find(candidates(program, image)));
  std::string command =
      is_train ? "train" : fmt::format("{} train", fmt::join(image.entrypoint, " "));
  if (!found.empty()) return ImageFinding{Finding::good, "entry point", command};
  std::string text =
      is_train
          ? "no ENTRYPOINT, and no program 'train' on PATH: a job has to name ContainerEntrypoint"
          : fmt::format("'{}' does not exist in the image", program);
  return ImageFinding{Finding::wrong, "entry point", text};
}

Result<ImageFinding> check_toolkit(Specimen& specimen, const Image& image) {
  std::string found = TRY(specimen.find(candidates("train", image)));
  std::string module = variable(image, "SAGEMAKER_TRAINING_MODULE");
  if (!module.empty()) return ImageFinding{Finding::good, "toolkit", "framework " + module};
  if (found.empty()) {
    return ImageFinding{Finding::notice, "toolkit",
                        "none: script mode (source_dir, hyperparameters as arguments) is the "
                        "image's own business"};
  }
  std::string program = variable(image, "SAGEMAKER_PROGRAM");
  std::string text = program.empty() ? found : fmt::format("{}, runs {}", found, program);
  return ImageFinding{Finding::good, "toolkit", text};
}

ImageFinding check_user(const Image& image) {
  std::string name = image.user.substr(0, image.user.find(':'));
  if (name.empty() || name == "root" || name == "0") return {Finding::good, "user", "root"};
  return {Finding::notice, "user",
          fmt::format("{}: it may write below /opt/ml, but files of channels belong to root, and "
                      "MPI jobs need root",
                      name)};
}

ImageFinding check_paths(const Image& image) {
  for (const std::string& volume : image.volumes) {
    if (volume != "/opt/ml" && !volume.starts_with("/opt/ml/")) continue;
    return {Finding::notice, "writable paths",
            fmt::format("VOLUME {}: what the image has there is copied for each job", volume)};
  }
  return {Finding::good, "writable paths",
          "/opt/ml/model, /opt/ml/output, /opt/ml/input are given"};
}

}  // namespace

std::vector<std::string> candidates(const std::string& program, const Image& image) {
  if (program.starts_with('/')) return {program};
  if (program.find('/') != std::string::npos) {
    std::string folder = image.working_dir.empty() ? "/" : image.working_dir;
    return {folder + (folder.ends_with('/') ? "" : "/") + program};
  }
  std::string path = variable(image, "PATH");
  std::vector<std::string> list;
  for (std::string_view folder : split(path.empty() ? kDefaultPath : path, ':')) {
    if (folder.starts_with('/')) list.push_back(std::string(folder) + "/" + program);
  }
  return list;
}

Result<std::vector<ImageFinding>> check_image(Client& docker, const std::string& name) {
  TRY(parse_reference(name));
  Image image = TRY(docker.inspect_image(name));
  Specimen specimen = TRY(Specimen::make(docker, name));
  std::vector<ImageFinding> findings = {check_architecture(image)};
  findings.push_back(TRY(check_entry(specimen, image)));
  findings.push_back(TRY(check_toolkit(specimen, image)));
  findings.push_back(check_user(image));
  findings.push_back(check_paths(image));
  return findings;
}

}  // namespace trainyard::docker
