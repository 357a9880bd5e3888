// SPDX-License-Identifier: Apache-2.0
#include "cli/data_commands.hpp"

#include <memory>

#include "main/client_commands.hpp"

namespace trainyard {

namespace {

const CLI::Range kJobs(1, 64);  // each may hold 16 MiB

template <class Options>
struct WithPlace : Options {
  cli::Where where;
};

// The command runs `use` with the service.
template <class Options>
std::shared_ptr<WithPlace<Options>> add(CLI::App& app, const Defaults& defaults, Run& run,
                                        const char* name, const char* help, CLI::App*& command,
                                        Result<int> (*use)(cli::Service&, const Options&)) {
  auto options = std::make_shared<WithPlace<Options>>();
  options->where.data_dir = defaults.data_dir;
  command = add_service_command(app, name, help, options->where);
  command->callback([options, use, &run] {
    run = [options, use] {
      return with_service(options->where,
                          [&](cli::Service& service) { return use(service, *options); });
    };
  });
  return options;
}

void add_inspect(CLI::App& app, const Defaults& defaults, Run& run) {
  CLI::App* command = nullptr;
  auto options = add(app, defaults, run, "inspect",
                     "Show what a data set holds: shards, records, features, damage", command,
                     cli::inspect_data);
  command->add_option("uri", options->uri, "s3://bucket/prefix, as a channel would name it")
      ->required();
  command->add_option("--examples", options->examples, "So many values of each feature")
      ->capture_default_str();
  command->add_option("--jobs", options->jobs, "Objects read at once")
      ->check(kJobs)
      ->capture_default_str();
  command->add_flag("--json", options->as_json, "As JSON");
  command->footer(
      "trainyard data inspect s3://my-bucket/train/\n"
      "Reads every TFRecord file to its end, gzip and zlib ones too, and checks each record; of\n"
      "other files only the start. Exit status: 0 all is whole, 1 something is damaged.");
}

void add_push(CLI::App& app, const Defaults& defaults, Run& run) {
  CLI::App* command = nullptr;
  auto options = add(app, defaults, run, "push", "Upload a folder; only what differs is sent",
                     command, cli::push_data);
  command->add_option("folder", options->folder, "On this machine")->required();
  command->add_option("uri", options->uri, "s3://bucket/prefix to become that folder")->required();
  command->add_flag("--delete", options->deletes, "Delete objects that the folder has not");
  command->add_flag("--dry-run", options->is_dry_run, "Only say what would be done");
  command->add_flag("--follow-links", options->follows_links,
                    "Upload what symbolic links lead to; else they are left out and named");
  command->add_flag("--make-bucket", options->makes_bucket, "Make the bucket if it is missing");
  command->add_option("--jobs", options->jobs, "Files or parts sent at once")
      ->check(kJobs)
      ->capture_default_str();
  command->footer(
      "trainyard data push ./shards s3://my-bucket/train --make-bucket\n"
      "Files are compared by size and checksum, not by time. After Ctrl-C, or a lost connection,\n"
      "the same command goes on: parts of large files that have arrived are not sent again.\n"
      "Exit status: 0 done, 1 some files could not be sent (each is named), 130 interrupted.");
}

void add_verify(CLI::App& app, const Defaults& defaults, Run& run) {
  CLI::App* command = nullptr;
  auto places = std::make_shared<std::vector<std::string>>();
  struct Use {
    static Result<int> verify(cli::Service& service, const cli::VerifyOptions& options) {
      return cli::verify_data(service, options);
    }
  };
  auto options = add(app, defaults, run, "verify",
                     "Compare a folder with its objects, or check objects by themselves", command,
                     &Use::verify);
  command->add_option("places", *places, "[FOLDER] s3://bucket/prefix")->required()->expected(1, 2);
  command->add_flag("--follow-links", options->follows_links,
                    "Compare what symbolic links lead to");
  command->add_option("--jobs", options->jobs, "Objects read at once")
      ->check(kJobs)
      ->capture_default_str();
  command->parse_complete_callback([options, places] {
    options->uri = places->empty() ? "" : places->back();
    if (places->size() == 2) options->folder = places->front();
  });
  command->footer(
      "trainyard data verify ./shards s3://my-bucket/train   missing, different and extra ones\n"
      "trainyard data verify s3://my-bucket/train            reads every object: checksum, "
      "TFRecords\n"
      "Exit status: 0 all is right, 1 something differs or is damaged.");
}

}  // namespace

void add_data_commands(CLI::App& app, const Defaults& defaults, Run& run) {
  auto* data = app.add_subcommand("data", "Upload data sets, look into them, check them");
  data->require_subcommand(1);
  add_inspect(*data, defaults, run);
  add_push(*data, defaults, run);
  add_verify(*data, defaults, run);
}

}  // namespace trainyard
