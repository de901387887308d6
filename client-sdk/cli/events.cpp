#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "options.hpp"

namespace fallow::cli {
namespace {

struct EventArguments : ListArguments {
    bool follow = false;
    std::string after;
};

void follow(Context& context, const EventArguments& arguments) {
    const bool json = context.format() == Format::json;
    context.client().follow_events(arguments.after, [json](const Event& event) {
        if (json) {
            print_json_line(to_json(event));
        } else {
            print_text(printable(event.id + "  " + event.at + "  " + event.type + "  " + event.object.id +
                                 "  " + plain(event.reason)) +
                       "\n");
        }
        return true;
    });
}

}  // namespace

void add_events_command(CLI::App& app, Context& context) {
    auto& events = *app.add_subcommand("events", "What happened to your objects, oldest first");
    const auto arguments = std::make_shared<EventArguments>();
    auto* const following =
        events.add_flag("-f,--follow", arguments->follow,
                        "Stay, and print events as they come, from now on (json: one a line)");
    events.add_option("--after", arguments->after, "With -f: only what came after this event id")
        ->needs(following);
    add_list_options(events, *arguments);
    on_run(context, events, arguments, [](Context& with, const EventArguments& given) {
        if (given.follow) return follow(with, given);
        print_list<Event>(
            with, given, [&](const PageRequest& page) { return with.client().events(page); }, event_list());
    });
}

}  // namespace fallow::cli
