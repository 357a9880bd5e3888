// SPDX-License-Identifier: Apache-2.0
#include "agent/stages.hpp"

namespace trainyard::agent {

Result<> look_up_recipe(Context& context) {
  const protocol::HostSettings& host = context.assignment.host_settings;
  auto catalogue =
      TRY(environments::Catalogue::load(host.environments_file, environments::find_interpreters()));
  constexpr std::string_view kCannotPull =
      "Cannot pull algorithm container. Either the image does not exist or its permissions are "
      "incorrect.";
  auto image = environments::ImageUri::parse(context.assignment.image);
  if (!image) return client_error(fmt::format("{} ({})", kCannotPull, image.error().message));
  auto recipe = catalogue.resolve(*image);
  if (!recipe) return client_error(fmt::format("{} ({})", kCannotPull, recipe.error().message));
  context.recipe = std::move(*recipe);
  return {};
}

Result<> find_recipe(Context& context) {
  TRY(look_up_recipe(context));
  const environments::Recipe& found = context.recipe;
  if (!found.asked_python.empty() && found.asked_python != found.interpreter.version) {
    context.say(
        fmt::format("Note: the image asks for Python {}, which is not on this host; using "
                    "Python {}.",
                    found.asked_python, found.interpreter.version));
  }
  return {};
}

Result<> make_environment(Context& context) {
  auto builder = context.builder();
  auto on_progress = [&](const std::string& line) {
    context.say(line);
    static_cast<void>(context.journal.add(protocol::EventKind::progress,
                                          "Downloading the training image: " + line));
  };
  auto made = builder.ensure(context.recipe, on_progress, context.stop);
  if (!made && made.error().code == Code::cancelled) return Failure(made.error());
  if (!made) {
    return client_error(fmt::format(
        "The environment {} {}: {}", context.recipe.name,
        context.recipe.existing ? "cannot be used" : "could not be built", made.error().message));
  }
  context.environment = std::move(*made);
  context.layer = context.folder / "layer";
  TRY(remove_tree(context.layer));
  TRY(builder.make_layer(context.environment, context.layer));
  return {};
}

}  // namespace trainyard::agent
