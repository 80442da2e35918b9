#include "description.hh"
#include "../entry_name.hh"

#include <cstdio>
#include <cstdlib>

namespace stowage::fuzz {

namespace {

std::string to_string(const Item &item) {
    char mode[16];
    snprintf(mode, sizeof mode, "%04o", item.mode);
    return std::string(1, item.type) + ' ' + mode + ' ' + quoted(item.text) + ", " +
           std::to_string(item.links) + " links, the first " + quoted(item.first) + ", time " +
           (item.mtime ? std::to_string(*item.mtime) : "any");
}

bool is_same(const Item &found, const Item &expected) {
    return found.type == expected.type && found.mode == expected.mode && found.text == expected.text &&
           found.links == expected.links && found.first == expected.first &&
           (!expected.mtime || found.mtime == expected.mtime);
}

} // namespace

void finding(const std::string &what) {
    fprintf(stderr, "FOUND: %s\n", what.c_str());
    abort();
}

void expect_same(const Description &found, const Description &expected) {
    for (const auto &[path, item] : found) {
        const auto other = expected.find(path);
        if (other == expected.end())
            finding("the tree has " + quoted(path) + ", which should not be there: " + to_string(item));
        if (!is_same(item, other->second))
            finding(quoted(path) + " is " + to_string(item) + "; should be " + to_string(other->second));
    }
    for (const auto &[path, item] : expected)
        if (!found.count(path))
            finding("the tree lacks " + quoted(path) + ": " + to_string(item));
}

} // namespace stowage::fuzz
