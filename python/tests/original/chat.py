import multipeer

my_name = input('Name: ')

mc = multipeer.MultipeerConnectivity(display_name=my_name,
  service_type='chat')

try:
  while True:
    chat_message = input('Message: ')
    mc.send(chat_message)
finally:
  mc.end_all()
