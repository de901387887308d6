// The commands that every noun has in the same form.
#pragma once

#include <memory>
#include <string>

#include "options.hpp"

namespace fallow::cli {

template <class T>
using ListCall = Page<T> (Client::*)(const PageRequest&);
template <class T>
using PartListCall = Page<T> (Client::*)(std::string_view, const PageRequest&);
template <class T>
using ShowCall = T (Client::*)(std::string_view);
template <class T>
using ActCall = T (Client::*)(std::string_view, const CallOptions&);
template <class T>
using MakeColumns = Columns<T> (*)();

/// Arguments of a list that belongs to one object.
struct PartListArguments : ListArguments {
    std::string id;
};

/// `fallow NOUN NAME`: a list of one's own.
template <class T>
void add_list(CLI::App& noun, Context& context, const std::string& name, const std::string& help,
              ListCall<T> call, MakeColumns<T> columns) {
    CLI::App& command = *noun.add_subcommand(name, help);
    const auto list_arguments = std::make_shared<ListArguments>();
    add_list_options(command, *list_arguments);
    on_run(context, command, list_arguments,
           [call, columns](Context& with, const ListArguments& arguments) {
               print_list<T>(
                   with, arguments, [&](const PageRequest& page) { return (with.client().*call)(page); },
                   columns());
           });
}

/// `fallow NOUN NAME ID`: a list that belongs to one object.
template <class T>
void add_part_list(CLI::App& noun, Context& context, const std::string& name, const std::string& help,
                   const std::string& whose, PartListCall<T> call, MakeColumns<T> columns) {
    CLI::App& command = *noun.add_subcommand(name, help);
    const auto list_arguments = std::make_shared<PartListArguments>();
    add_id(command, list_arguments->id, whose);
    add_list_options(command, *list_arguments);
    on_run(context, command, list_arguments,
           [call, columns](Context& with, const PartListArguments& arguments) {
               print_list<T>(
                   with, arguments,
                   [&](const PageRequest& page) { return (with.client().*call)(arguments.id, page); },
                   columns());
           });
}

/// `fallow NOUN show ID`
template <class T>
void add_show(CLI::App& noun, Context& context, const std::string& what, ShowCall<T> call,
              MakeColumns<T> fields) {
    CLI::App& command = *noun.add_subcommand("show", "Show one " + what);
    const auto id = std::make_shared<std::string>();
    add_id(command, *id, what);
    on_run(context, command, id, [call, fields](Context& with, const std::string& object_id) {
        print_one(with, (with.client().*call)(object_id), fields());
    });
}

/// `fallow NOUN NAME ID`: something done to one object, which is then shown.
template <class T>
void add_act(CLI::App& noun, Context& context, const std::string& name, const std::string& help,
             const std::string& what, ActCall<T> call, MakeColumns<T> fields) {
    CLI::App& command = *noun.add_subcommand(name, help);
    const auto id = std::make_shared<std::string>();
    add_id(command, *id, what);
    on_run(context, command, id, [call, fields](Context& with, const std::string& object_id) {
        print_one(with, (with.client().*call)(object_id, with.call_options()), fields());
    });
}

}  // namespace fallow::cli
