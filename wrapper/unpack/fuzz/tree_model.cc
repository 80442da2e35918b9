#include "tree_model.hh"

#include <deque>
#include <vector>

namespace stowage::fuzz {

namespace {

struct Refused {};

constexpr mode_t kept_mode_bits = 01777;
constexpr int most_links = 40;

std::vector<std::string> components_of(const std::string &path) {
    std::vector<std::string> components;
    std::string component;
    for (const char byte : path + '/') {
        if (byte != '/') {
            component += byte;
            continue;
        }
        if (!component.empty() && component != ".")
            components.push_back(component);
        component.clear();
    }
    return components;
}

bool starts_with(const std::string &text, const std::string &start) {
    return text.compare(0, start.size(), start) == 0;
}

} // namespace

TreeModel::TreeModel() : root_(std::make_shared<Node>()) {
}

void TreeModel::begin_layer() {
    layer_++;
}

bool TreeModel::apply(const Entry &entry, const std::string &content) {
    try {
        put_entry(entry, content);
        return true;
    } catch (const Refused &) {
        return false;
    }
}

TreeModel::Path TreeModel::clean(const std::string &raw) {
    Path path;
    for (const std::string &component : components_of(raw)) {
        if (component == "..")
            throw Refused();
        if (!path.base.empty())
            path.parent += (path.parent.empty() ? "" : "/") + path.base;
        path.base = component;
    }
    return path;
}

TreeModel::Node *TreeModel::walk(const std::string &path, bool make) {
    const std::vector<std::string> start = components_of(path);
    std::deque<std::string> todo(start.begin(), start.end());
    Node *at = root_.get();
    int links = 0;
    while (!todo.empty()) {
        const std::string component = todo.front();
        todo.pop_front();
        if (component == "..") {
            at = at->parent ? at->parent : at;
            continue;
        }
        const auto found = at->names.find(component);
        if (found != at->names.end() && found->second.node->type == 'd') {
            at = found->second.node.get();
        } else if (found != at->names.end() && found->second.node->type == 'l') {
            if (++links > most_links)
                throw Refused();
            const std::string target = found->second.node->text;
            const std::vector<std::string> detour = components_of(target);
            if (target[0] == '/')
                at = root_.get();
            todo.insert(todo.begin(), detour.begin(), detour.end());
        } else if (!make) {
            return nullptr;
        } else if (found != at->names.end() && found->second.layer == layer_) {
            throw Refused();
        } else {
            at = make_directory(at, component).get();
        }
    }
    return at;
}

TreeModel::Node *TreeModel::make_parent(const std::string &path) {
    Node *const parent = walk(path, true);
    touch(parent);
    return parent;
}

void TreeModel::touch(Node *directory) {
    for (; directory; directory = directory->parent)
        directory->layer = layer_;
}

TreeModel::Link TreeModel::make_directory(Node *parent, const std::string &base) {
    const Link made = std::make_shared<Node>();
    made->parent = parent;
    parent->names[base] = {made, layer_};
    touch(made.get());
    return made;
}

// A directory that holds nothing of this layer goes with all it holds.
void TreeModel::hide(Node *parent, const std::string &base) {
    const auto found = parent->names.find(base);
    if (found == parent->names.end())
        return;
    Node *const node = found->second.node.get();
    const unsigned layer = node->type == 'd' ? node->layer : found->second.layer;
    if (layer < layer_)
        parent->names.erase(found);
    else if (node->type == 'd')
        hide_all(node);
}

void TreeModel::hide_all(Node *directory) {
    std::vector<std::string> names;
    for (const auto &[name, value] : directory->names)
        names.push_back(name);
    for (const std::string &name : names)
        hide(directory, name);
}

void TreeModel::put(const Path &path, Link node) {
    make_parent(path.parent)->names[path.base] = {std::move(node), layer_};
}

void TreeModel::put_entry(const Entry &entry, const std::string &content) {
    if (entry.name.empty())
        return;
    const Path path = clean(entry.name);
    if (path.base.empty() && entry.type != EntryType::directory)
        throw Refused();
    for (const std::string &component : components_of(path.parent)) {
        if (starts_with(component, ".wh..wh."))
            return;
        if (starts_with(component, ".wh."))
            throw Refused();
    }
    if (path.base == ".wh..wh..opq") {
        if (Node *const parent = walk(path.parent, false))
            hide_all(parent);
        return;
    }
    if (starts_with(path.base, ".wh..wh."))
        return;
    if (starts_with(path.base, ".wh.")) {
        const std::string hidden = path.base.substr(4);
        if (hidden.empty() || hidden == "." || hidden == "..")
            throw Refused();
        if (Node *const parent = walk(path.parent, false))
            hide(parent, hidden);
        return;
    }
    if (entry.type == EntryType::directory)
        return put_directory(path, entry);
    if (entry.type == EntryType::hard_link)
        return put_hard_link(path, entry);
    if (entry.type == EntryType::special)
        return skip(path);
    const bool is_link = entry.type == EntryType::symlink;
    if (is_link && entry.link_target.empty())
        throw Refused();
    const Link node = std::make_shared<Node>();
    node->type = is_link ? 'l' : 'f';
    node->mode = is_link ? 0 : entry.mode & kept_mode_bits;
    node->text = is_link ? entry.link_target : content;
    node->mtime = entry.mtime.tv_sec;
    put(path, node);
}

void TreeModel::put_directory(const Path &path, const Entry &entry) {
    Link directory = root_;
    if (!path.base.empty()) {
        Node *const parent = make_parent(path.parent);
        const auto found = parent->names.find(path.base);
        if (found != parent->names.end() && found->second.node->type == 'd')
            directory = found->second.node;
        else
            directory = make_directory(parent, path.base);
        touch(directory.get());
    }
    directory->mode = entry.mode & kept_mode_bits;
    directory->mtime = entry.mtime.tv_sec;
}

void TreeModel::put_hard_link(const Path &path, const Entry &entry) {
    const Path target = clean(entry.link_target);
    if (target.base.empty())
        throw Refused();
    Node *const from = walk(target.parent, false);
    if (!from || !from->names.count(target.base)) {
        if (from && from->skipped.count(target.base))
            return skip(path);
        throw Refused();
    }
    const Link linked = from->names.at(target.base).node;
    if (linked->type == 'd')
        throw Refused();
    Node *const parent = make_parent(path.parent);
    const auto still = from->names.find(target.base);
    if (still == from->names.end() || still->second.node != linked ||
        (parent == from && path.base == target.base))
        throw Refused();
    // The name may be a directory that the target lies in.
    const auto replaced = parent->names.find(path.base);
    for (Node *above = from; above && replaced != parent->names.end(); above = above->parent)
        if (above == replaced->second.node.get())
            throw Refused();
    parent->names[path.base] = {linked, layer_};
}

void TreeModel::skip(const Path &path) {
    Node *const parent = make_parent(path.parent);
    parent->names.erase(path.base);
    parent->skipped.insert(path.base);
}

Description TreeModel::describe() const {
    Description description;
    std::map<const Node *, std::pair<std::string, uint64_t>> names;
    std::map<std::string, const Node *> files;
    const auto visit = [&](const auto &self, const Node &node, const std::string &path) -> void {
        Item item;
        item.type = node.type;
        item.mode = node.mode;
        item.text = node.text;
        item.mtime = node.mtime;
        description[path] = item;
        if (node.type != 'd') {
            const auto [first, is_new] = names.emplace(&node, std::pair(path, 0));
            first->second.second++;
            if (path < first->second.first)
                first->second.first = path;
            files[path] = &node;
        }
        for (const auto &[name, value] : node.names)
            self(self, *value.node, path.empty() ? name : path + '/' + name);
    };
    visit(visit, *root_, "");
    for (auto &[path, item] : description) {
        const auto file = files.find(path);
        item.first = file == files.end() ? path : names.at(file->second).first;
        item.links = file == files.end() ? 1 : names.at(file->second).second;
    }
    return description;
}

} // namespace stowage::fuzz
