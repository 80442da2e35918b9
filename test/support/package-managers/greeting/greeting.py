def main():
    print("greetings from", __file__)
