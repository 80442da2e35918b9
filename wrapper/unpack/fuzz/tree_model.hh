// What layers should leave behind, worked out in memory and without any of the unpacker's code: every name
// knows the layer that put it there, so that whiteouts need only compare numbers.
#pragma once

#include "../entry_source.hh"
#include "description.hh"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace stowage::fuzz {

class TreeModel {
  public:
    TreeModel();

    void begin_layer();
    // False if the image is to be refused at this entry.
    bool apply(const Entry &entry, const std::string &content);
    Description describe() const;

  private:
    struct Node;
    using Link = std::shared_ptr<Node>;
    struct Name {
        Link node;
        unsigned layer; // that put it there; of directories see Node::layer
    };
    struct Node {
        char type = 'd';
        mode_t mode = 0755;
        std::string text;
        std::optional<int64_t> mtime;
        Node *parent = nullptr; // of directories
        unsigned layer = 0;     // the last that put a directory, or something into it
        std::map<std::string, Name> names;
        std::set<std::string> skipped; // where devices would be
    };
    struct Path {
        std::string parent;
        std::string base;
    };

    static Path clean(const std::string &raw);
    Node *walk(const std::string &path, bool make);
    Node *make_parent(const std::string &path);
    void touch(Node *directory);
    Link make_directory(Node *parent, const std::string &base);
    void hide(Node *parent, const std::string &base);
    void hide_all(Node *directory);
    void put(const Path &path, Link node);
    void put_entry(const Entry &entry, const std::string &content);
    void put_directory(const Path &path, const Entry &entry);
    void put_hard_link(const Path &path, const Entry &entry);
    void skip(const Path &path);

    Link root_;
    unsigned layer_ = 0; // the lowest is 1
};

} // namespace stowage::fuzz
